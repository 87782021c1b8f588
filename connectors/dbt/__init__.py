"""dbt on this machine: its projects are named by the deployment, never by a tenant."""
