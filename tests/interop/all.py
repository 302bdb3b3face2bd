"""All interop cases, or those named. usage: all.py WORKDIR [--page] [NAME ...]"""
import opus, calls, switches, matrix  # noqa: F401, each runs its cases as it is read
from cases import finish

finish()
