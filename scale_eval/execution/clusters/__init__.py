"""Start or join a Dask cluster; one module a kind."""
