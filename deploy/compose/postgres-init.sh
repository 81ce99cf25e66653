#!/bin/sh
# Makes the login role of the edge and its database, once, when the volume is new.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$MANA_DATABASE_PASSWORD" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE mana LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE mana OWNER mana;
SQL
