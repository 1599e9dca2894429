"""The commands, a file each; and how they end. Nothing is imported here, while Ctrl-C would still be a traceback."""

MATCH, FAIL, TROUBLE, INTERRUPTED = 0, 1, 2, 130
NO_MEMORY, BROKEN = "there is not enough memory for this", "a library cannot be loaded: {}"


def interrupted(error: BaseException) -> bool:
    """Whether it is Ctrl-C, or came of it: Python 3.11 makes one that comes while a class is made a RuntimeError."""
    return any(isinstance(one, KeyboardInterrupt) for one in chain(error))


def out_of_memory(error: BaseException) -> bool:
    """Whether no memory was left; Python itself loses the MemoryError on its way at times, and says that of itself."""
    return isinstance(error, MemoryError) or (isinstance(error, SystemError) and "exception" in str(error))


def chain(error: "BaseException | None") -> list[BaseException]:
    """The error, and each that it came of: the last says the cause, of which NumPy tells how to install it."""
    found: list[BaseException] = []
    while error:
        found.append(error)
        error = error.__context__
    return found
