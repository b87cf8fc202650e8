"""The store on PostgreSQL: any number of replicas, one database."""
