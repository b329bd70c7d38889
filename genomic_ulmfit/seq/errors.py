


class InputError(ValueError):
    "Something is wrong with the input: names the file, the record where there is one, and the remedy."

    def __init__(
        self,
        where,  # file or folder
        problem: str,  # what is wrong
        remedy: str,  # what to do about it
        record: str | None = None,  # record id, row or column
    ):
        self.where, self.problem, self.remedy, self.record = str(where), problem, remedy, record
        super().__init__(str(self))

    def __str__(self):  # not from `args`: fastai rewrites those of errors that pass through a callback
        place = f"{self.where}, record {self.record!r}" if self.record is not None else self.where
        return f"{place}: {self.problem}. {self.remedy}."


class InputNotFoundError(InputError, FileNotFoundError):
    "The file or folder isn't there."
