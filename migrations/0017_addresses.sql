-- What is meant for an address is for whoever has proven that it is theirs. Rows whose new form SQL cannot compute are
-- changed by the program, once, and noted here.

CREATE TABLE mana.data_steps (
	name    text COLLATE "C" PRIMARY KEY,
	done_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE mana.data_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.data_steps FORCE ROW LEVEL SECURITY;
CREATE POLICY data_steps_system ON mana.data_steps
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT ON mana.data_steps TO mana_system;

DROP POLICY invitations_select ON auth.invitations;
CREATE POLICY invitations_select ON auth.invitations
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin()
		OR organization_id IN (SELECT organization_id FROM auth.my_memberships)
		OR email = (SELECT u.email FROM auth.users u WHERE u.id = mana.user_id() AND u.email_verified)));
DROP POLICY invitations_delete ON auth.invitations;
CREATE POLICY invitations_delete ON auth.invitations
	FOR DELETE TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin() OR inviter_id = mana.user_id()
		OR organization_id IN (SELECT organization_id FROM auth.my_memberships WHERE role IN ('owner', 'admin'))
		OR email = (SELECT u.email FROM auth.users u WHERE u.id = mana.user_id() AND u.email_verified)));
