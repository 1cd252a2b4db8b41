"""Graded assignments: built from one source, handed out, and graded where nobody's code is trusted.

:mod:`teachlib.classroom.source` reads an assignment, :mod:`~teachlib.classroom.release` makes what students get of it,
:mod:`~teachlib.classroom.grading` grades one submission in a sandbox and :mod:`~teachlib.classroom.course` a whole
class. Nothing but :mod:`teachlib.classroom.inside` is seen by a submission.
"""
