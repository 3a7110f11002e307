"""Writing networks in forms that others can use.

`formats` has the table of all formats, `writing` writes an export, `native` the files of a run.
"""
