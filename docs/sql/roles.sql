-- Roles for FaDO on PostgreSQL with the least privileges. Run it once as a superuser in
-- the database that FaDO is to use, with passwords of your own:
--
--     psql -d fado -v owner_password=... -v runtime_password=... -f roles.sql
--
-- fado_owner owns the tables and migrates them: let one instance start with it, once
-- after every update of FaDO that has a migration. fado_runtime is for everything else.
-- It can read and write rows, and neither make, alter, drop nor truncate anything.

CREATE ROLE fado_owner LOGIN PASSWORD :'owner_password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE fado_runtime LOGIN PASSWORD :'runtime_password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;

CREATE SCHEMA fado AUTHORIZATION fado_owner;
REVOKE ALL ON SCHEMA fado FROM PUBLIC;
GRANT USAGE ON SCHEMA fado TO fado_runtime;

-- What the owner makes from now on, migrations to come included.
ALTER DEFAULT PRIVILEGES FOR ROLE fado_owner IN SCHEMA fado GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO fado_runtime;
ALTER DEFAULT PRIVILEGES FOR ROLE fado_owner IN SCHEMA fado GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO fado_runtime;
ALTER DEFAULT PRIVILEGES FOR ROLE fado_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE fado_owner IN SCHEMA fado GRANT EXECUTE ON FUNCTIONS TO fado_runtime;
