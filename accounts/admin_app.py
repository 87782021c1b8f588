"""django.contrib.admin with our own front door (``accounts/site.py``)."""

from django.contrib.admin.apps import AdminConfig


class SallyportAdminConfig(AdminConfig):
    default_site = "accounts.site.SallyportAdminSite"
