"""mathlab: regenerate the numbers that articles on backpropagation report, and judge them by their digits."""

__version__ = "0.1.0"
