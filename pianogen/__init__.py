"""Human piano performances into models that write piano music."""

__version__ = "0.1.0"
