# SPDX-License-Identifier: MIT
"""What the reasons in the folder above are made with."""
