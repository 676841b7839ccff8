"""What every look-alike needs: a clock that can be moved, exact quotas, planned faults, a request log and a control API."""
