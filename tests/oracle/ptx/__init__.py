"""An interpreter of the PTX that nvcc makes of kernels/cuda: ../check_ptx.py runs it."""
