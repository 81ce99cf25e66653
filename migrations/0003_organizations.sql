-- Organisations, their members and open invitations.
-- An owner may do everything; an admin may not touch an owner or make one.

CREATE TABLE auth.organizations (
	id         text PRIMARY KEY,
	name       text NOT NULL,
	slug       text UNIQUE,
	logo       text,
	metadata   jsonb,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.members (
	id              text PRIMARY KEY,
	organization_id text NOT NULL REFERENCES auth.organizations ON DELETE CASCADE,
	user_id         text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	role            text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
	created_at      timestamptz NOT NULL DEFAULT now(),
	UNIQUE (organization_id, user_id)
);
CREATE INDEX members_user_id_idx ON auth.members (user_id);
CREATE TABLE auth.invitations (
	id              text PRIMARY KEY,
	organization_id text NOT NULL REFERENCES auth.organizations ON DELETE CASCADE,
	email           text NOT NULL CHECK (email = lower(email)),
	role            text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
	status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'accepted', 'rejected', 'canceled')),
	expires_at      timestamptz NOT NULL,
	inviter_id      text REFERENCES auth.users ON DELETE SET NULL,
	created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invitations_organization_id_idx ON auth.invitations (organization_id);
CREATE INDEX invitations_email_idx ON auth.invitations (email);
CREATE INDEX invitations_status_idx ON auth.invitations (status);
CREATE INDEX invitations_inviter_id_idx ON auth.invitations (inviter_id);

ALTER TABLE auth.organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.organizations FORCE ROW LEVEL SECURITY;
ALTER TABLE auth.members ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.members FORCE ROW LEVEL SECURITY;
ALTER TABLE auth.invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.invitations FORCE ROW LEVEL SECURITY;

-- The memberships of the current user. Policies that asked auth.members itself
-- would recurse; a view reads it as its owner, under the policy made for that.
-- To mana_owner acting in its own name that policy shows nothing.
CREATE VIEW auth.my_memberships WITH (security_barrier) AS
	SELECT organization_id, role
	FROM auth.members
	WHERE user_id = mana.user_id();
GRANT SELECT ON auth.my_memberships TO mana_user;
CREATE POLICY members_view ON auth.members
	FOR SELECT TO mana_owner
	USING (current_user = 'mana_user' AND user_id = mana.user_id());

CREATE POLICY organizations_system ON auth.organizations
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY organizations_select ON auth.organizations
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin()
		OR id IN (SELECT organization_id FROM auth.my_memberships)));
CREATE POLICY organizations_insert ON auth.organizations
	FOR INSERT TO mana_user
	WITH CHECK (current_user = 'mana_user' AND mana.user_id() IS NOT NULL);
CREATE POLICY organizations_update ON auth.organizations
	FOR UPDATE TO mana_user
	USING (current_user = 'mana_user'
		AND id IN (SELECT organization_id FROM auth.my_memberships WHERE role IN ('owner', 'admin')));
CREATE POLICY organizations_delete ON auth.organizations
	FOR DELETE TO mana_user
	USING (current_user = 'mana_user'
		AND id IN (SELECT organization_id FROM auth.my_memberships WHERE role = 'owner'));
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.organizations TO mana_system;
GRANT SELECT, INSERT, DELETE, UPDATE (name, slug, logo, metadata, updated_at) ON auth.organizations TO mana_user;

CREATE POLICY members_system ON auth.members
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY members_select ON auth.members
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()
		OR organization_id IN (SELECT organization_id FROM auth.my_memberships)));
CREATE POLICY members_insert ON auth.members
	FOR INSERT TO mana_user
	WITH CHECK (current_user = 'mana_user' AND (mana.is_admin()
		OR organization_id IN (SELECT m.organization_id FROM auth.my_memberships m
			WHERE m.role = 'owner' OR m.role = 'admin' AND members.role <> 'owner')));
CREATE POLICY members_update ON auth.members
	FOR UPDATE TO mana_user
	USING (current_user = 'mana_user'
		AND organization_id IN (SELECT m.organization_id FROM auth.my_memberships m
			WHERE m.role = 'owner' OR m.role = 'admin' AND members.role <> 'owner'));
CREATE POLICY members_delete ON auth.members
	FOR DELETE TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()
		OR organization_id IN (SELECT m.organization_id FROM auth.my_memberships m
			WHERE m.role = 'owner' OR m.role = 'admin' AND members.role <> 'owner')));
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.members TO mana_system;
GRANT SELECT, INSERT, DELETE, UPDATE (role) ON auth.members TO mana_user;

CREATE POLICY invitations_system ON auth.invitations
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY invitations_select ON auth.invitations
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin()
		OR organization_id IN (SELECT organization_id FROM auth.my_memberships)
		OR email = (SELECT u.email FROM auth.users u WHERE u.id = mana.user_id())));
CREATE POLICY invitations_insert ON auth.invitations
	FOR INSERT TO mana_user
	WITH CHECK (current_user = 'mana_user' AND inviter_id = mana.user_id() AND role <> 'owner'
		AND (mana.is_admin()
			OR organization_id IN (SELECT organization_id FROM auth.my_memberships WHERE role IN ('owner', 'admin'))));
CREATE POLICY invitations_update ON auth.invitations
	FOR UPDATE TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin()
		OR organization_id IN (SELECT organization_id FROM auth.my_memberships WHERE role IN ('owner', 'admin'))));
CREATE POLICY invitations_delete ON auth.invitations
	FOR DELETE TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin() OR inviter_id = mana.user_id()
		OR organization_id IN (SELECT organization_id FROM auth.my_memberships WHERE role IN ('owner', 'admin'))
		OR email = (SELECT u.email FROM auth.users u WHERE u.id = mana.user_id())));
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.invitations TO mana_system;
GRANT SELECT, INSERT, DELETE, UPDATE (status, expires_at) ON auth.invitations TO mana_user;
