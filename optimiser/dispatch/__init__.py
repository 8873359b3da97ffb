"""Dispatch: what a district's storage, vehicles, heat pumps and flexible loads should do in the next hours.

`year.run_year` runs a year on data; `controller.Controller` decides one step.
"""
