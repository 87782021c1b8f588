"""Decides what happens next. Pure: workflow and stored facts in, decisions out."""
