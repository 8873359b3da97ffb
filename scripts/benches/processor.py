"""Processor time of other processes."""

import os
from pathlib import Path


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has used; 0 where the system does not tell (no /proc)."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
