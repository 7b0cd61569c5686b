"""Tables of a page that a command rebuilds."""

import re


def replace_table(page: str, name: str, table: str) -> str:
    """The page with `table` between the two comments of the benchmark `name`.

    Raises:
        ValueError: The page does not have the comments exactly once.
    """
    begin, end = f"<!-- bench {name} -->", "<!-- end -->"
    pattern = re.compile(rf"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    replaced, count = pattern.subn(lambda _: f"{begin}\n{table}\n{end}", page)
    if count != 1:
        raise ValueError(f"the page has {count} places for {name}; mark one with {begin} and {end}")
    return replaced
