"""Other systems that run steps, each in an environment of its own, beside bare Celery and Sallyport."""
