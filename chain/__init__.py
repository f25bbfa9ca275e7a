"""The machinery behind run_all.py: profiles, the plan, one notebook's execution, the display. No experiment logic."""
