"""HTTP(S): CACAO ``http-api`` commands and ``act-http-request``."""
