from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """The same algorithm with a fraction of the memory: tests hash hundreds of passwords."""

    time_cost = 1
    memory_cost = 1_024
    parallelism = 1
