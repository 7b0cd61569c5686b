"""Speed of pianogen beside what a user would pick instead, and beside a limit of the machine."""
