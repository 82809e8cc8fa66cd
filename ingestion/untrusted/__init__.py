"""What runs in the child process: the code that touches untrusted workbooks, and nothing else.

Imports no other room of the house, so the child starts in a few hundredths of a second, and a bound
on its memory is a bound on the workbook.
"""
