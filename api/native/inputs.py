from api.fields import Input, Text


class SetupInput(Input):
    token = Text(max_length=200)
    tenant = Text(max_length=64)
    tenant_name = Text(max_length=200, required=False)
    email = Text(max_length=254)
    password = Text(max_length=2_000)
