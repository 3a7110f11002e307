"""Running evaluations somewhere: in this process, or in Ray workers, with the same results."""

from nas.execution.executor import Cohort, Executor
from nas.execution.serial import SerialExecutor

__all__ = ["Cohort", "Executor", "SerialExecutor"]
