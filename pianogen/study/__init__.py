"""A listening study: what is heard in which order, and what the ratings say."""
