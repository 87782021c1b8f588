def put_in(name: str) -> None:
    raise NotImplementedError
