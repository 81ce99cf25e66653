-- People of the replaced service, as many as the setting test.people says. Person i has the id md5('user' || i). Of each
-- hundred some are odd: see the numbers beside.

INSERT INTO auth.users (id, name, email, email_verified, role, created_at, deleted_at)
SELECT md5('user' || i), CASE WHEN i % 3 = 0 THEN '' ELSE 'Person ' || i END,
	CASE i % 100
		WHEN 7 THEN upper('person' || i - 1 || '@Example.com') -- the address of the one before, in capitals
		WHEN 8 THEN 'person ' || i || ' at home'               -- no address
		WHEN 9 THEN 'Person' || i || '@MÜLLER.example'         -- not canonical
		ELSE 'person' || i || '@example.com' END,
	i % 100 <> 7 AND i % 5 <> 0, (CASE WHEN i % 100 = 10 THEN 'moderator' WHEN i = 1 THEN 'admin' ELSE 'user' END)::public.user_role,
	now() - interval '300 days' + i * interval '1 second', CASE WHEN i % 100 = 11 THEN now() - interval '3 days' END
FROM generate_series(1, current_setting('test.people')::int) AS i;

-- The password of all is Passw0rd!
INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password)
SELECT md5('account' || i), md5('user' || i), 'credential', md5('user' || i), CASE i % 100
	WHEN 12 THEN 'plain:text'
	ELSE '00112233445566778899aabbccddeeff:f4482ac2cfbda1642ce73f3ceb92648b9934a3f199a533d0f46bb4da9ca0e740f146136283203c476fa10abe38651e2d2a521ef75406f9a8f7fbe0047aa1a425' END
FROM generate_series(1, current_setting('test.people')::int) AS i;
INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password, updated_at)
SELECT md5('old account' || i), md5('user' || i), 'credential', md5('user' || i), 'x', now() - interval '1 year'
FROM generate_series(13, current_setting('test.people')::int, 100) AS i;

INSERT INTO auth.user_settings (user_id, global_settings)
SELECT md5('user' || i), jsonb_build_object('locale', CASE WHEN i % 2 = 0 THEN 'en' ELSE 'de' END)
FROM generate_series(1, current_setting('test.people')::int) AS i;

-- Everybody has a browser; every second an app by the exchange; every third an app that has refreshed.
INSERT INTO auth.sessions (id, token, user_id, expires_at, refresh_token, refresh_token_expires_at, device_id, created_at, updated_at)
SELECT md5('session' || i), md5('cookie' || i), md5('user' || i), now() + interval '5 days',
	CASE WHEN i % 2 = 0 THEN md5('refresh' || i) || md5('token' || i) END, CASE WHEN i % 2 = 0 THEN now() + interval '6 days' END,
	'device-' || i, now() - interval '2 days', now() - interval '1 day'
FROM generate_series(1, current_setting('test.people')::int) AS i;
INSERT INTO auth.sessions (id, token, user_id, expires_at, refresh_token, refresh_token_expires_at, created_at)
SELECT id, id, md5('user' || i), now() + interval '10 minutes', md5('again' || i) || md5('token' || i), now() + interval '7 days', now() - interval '5 minutes'
FROM (SELECT i, md5('refreshed' || i)::uuid::text AS id FROM generate_series(3, current_setting('test.people')::int, 3) AS i) AS s;
INSERT INTO auth.sessions (id, token, user_id, expires_at, revoked_at)
SELECT md5('over' || i), md5('over' || i) || 'x', md5('user' || i), now() + interval '5 days', now() FROM generate_series(1, current_setting('test.people')::int, 2) AS i;

INSERT INTO auth.organizations (id, name, slug)
SELECT md5('org' || i), 'Organisation ' || i, 'org-' || i FROM generate_series(1, current_setting('test.people')::int, 50) AS i;
INSERT INTO auth.members (id, organization_id, user_id, role)
SELECT md5('member' || i || '-' || n), md5('org' || i), md5('user' || i + n), (ARRAY['owner', 'admin', 'member', 'boss'])[n + 1]
FROM generate_series(1, current_setting('test.people')::int - 5, 50) AS i, generate_series(0, 3) AS n;
INSERT INTO auth.members (id, organization_id, user_id, role)
SELECT md5('twice' || i), md5('org' || i), md5('user' || i + 1), 'member' FROM generate_series(1, current_setting('test.people')::int - 5, 100) AS i;
INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('!nobody', md5('org1'), 'nobody', 'member');
INSERT INTO auth.invitations (id, organization_id, email, role, status, expires_at, inviter_id)
SELECT md5('invitation' || i), md5('org' || i), 'Guest' || i || '@Example.com', 'member', 'pending', now() + interval '2 days', md5('user' || i)
FROM generate_series(1, current_setting('test.people')::int, 50) AS i;

INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash)
SELECT md5('key' || i), md5('user' || i), 'Key', 'sk_live_' || left(md5('secret' || i), 8) || '...', encode(sha256(convert_to('sk_live_' || md5('secret' || i), 'UTF8')), 'hex')
FROM generate_series(1, current_setting('test.people')::int, 4) AS i;
INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id, email)
SELECT md5('link' || i), '@person' || i || ':matrix.example.com', md5('user' || i), 'person' || i || '@example.com' FROM generate_series(1, current_setting('test.people')::int, 6) AS i;
INSERT INTO auth.oauth_applications (id, name, client_id, client_secret, redirect_urls)
VALUES ('application', 'Wiki', 'wiki', 'the secret of the wiki', 'https://wiki.example.com/callback, https://wiki.example.com/other');
INSERT INTO auth.oauth_consents (id, user_id, client_id, scopes)
SELECT md5('consent' || i), md5('user' || i), 'wiki', 'openid email' FROM generate_series(1, current_setting('test.people')::int, 9) AS i;

INSERT INTO credits.packages (id, name, credits, price_euro_cents) VALUES (md5('package')::uuid, 'Small', 100, 100);
INSERT INTO credits.stripe_customers (user_id, stripe_customer_id, email)
SELECT md5('user' || i), 'cus_' || i, 'person' || i || '@example.com' FROM generate_series(1, current_setting('test.people')::int, 5) AS i;
INSERT INTO credits.purchases (id, user_id, package_id, credits, price_euro_cents, stripe_payment_intent_id, status, completed_at)
SELECT md5('purchase' || i)::uuid, md5('user' || i), md5('package')::uuid, 100, 100, 'pi_' || i, 'completed', CASE WHEN i % 100 <> 16 THEN now() - interval '90 days' END
FROM generate_series(1, current_setting('test.people')::int, 5) AS i;

-- Credits: every fifth has bought 100, the others were given 20; all have spent 3 and 4.
INSERT INTO credits.balances (user_id, balance, total_earned, total_spent)
SELECT md5('user' || i), CASE WHEN i % 5 = 1 THEN 93 ELSE 13 END, CASE WHEN i % 5 = 1 THEN 100 ELSE 20 END, 7
FROM generate_series(1, current_setting('test.people')::int) AS i;
INSERT INTO credits.transactions (id, user_id, type, status, amount, balance_before, balance_after, app_id, description, metadata, idempotency_key, created_at, completed_at)
SELECT md5('in' || i)::uuid, md5('user' || i), CASE WHEN i % 5 = 1 THEN 'purchase' ELSE 'bonus' END::public.transaction_type, 'completed', CASE WHEN i % 5 = 1 THEN 100 ELSE 20 END, 0,
	CASE WHEN i % 5 = 1 THEN 100 ELSE 20 END, 'stripe', 'Credits', CASE WHEN i % 5 = 1 THEN jsonb_build_object('purchaseId', md5('purchase' || i)::uuid) END,
	CASE WHEN i % 5 = 1 THEN 'purchase:pi_' || i END, now() - interval '90 days', now() - interval '90 days'
FROM generate_series(1, current_setting('test.people')::int) AS i;
INSERT INTO credits.transactions (id, user_id, type, status, amount, balance_before, balance_after, app_id, description, idempotency_key, created_at, completed_at)
SELECT md5('out' || n || '-' || i)::uuid, md5('user' || i), 'usage', 'completed', -3 - n, 0, 0, 'chat', 'ai_chat', CASE WHEN n = 0 THEN 'request-' || i END, now() - n * interval '1 day', now()
FROM generate_series(1, current_setting('test.people')::int) AS i, generate_series(0, 1) AS n;

UPDATE credits.balances SET balance = 130 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(21, current_setting('test.people')::int, 100) AS i);    -- more than its ledger
UPDATE credits.balances SET balance = 2 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(22, current_setting('test.people')::int, 100) AS i);     -- less than its ledger
UPDATE credits.balances SET balance = -5 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(23, current_setting('test.people')::int, 100) AS i);    -- below zero
UPDATE credits.transactions SET created_at = now() WHERE id IN (SELECT md5('in' || i)::uuid FROM generate_series(24, current_setting('test.people')::int, 100) AS i); -- spent before it came in
DELETE FROM credits.transactions WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(25, current_setting('test.people')::int, 100) AS i);            -- no ledger
DELETE FROM credits.balances WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(27, current_setting('test.people')::int, 100) AS i);                -- no balance
UPDATE credits.balances SET balance = 12.9799 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(28, current_setting('test.people')::int, 100) AS i); -- no integer
UPDATE credits.transactions SET type = 'referral' WHERE id IN (SELECT md5('in' || i)::uuid FROM generate_series(29, current_setting('test.people')::int, 100) AS i); -- a type nobody knows
UPDATE credits.transactions SET status = 'pending' WHERE id IN (SELECT md5('out1-' || i)::uuid FROM generate_series(30, current_setting('test.people')::int, 100) AS i); -- never completed

-- Gifts of 10 in two portions: 31 open, 32 claimed in part, 33 claimed, 34 expired and never given back, 35 cancelled,
-- 37 without a reservation, 38 claimed more often than it was redeemed.
INSERT INTO credits.transactions (id, user_id, type, status, amount, balance_before, balance_after, app_id, description, created_at)
SELECT md5('reservation' || i)::uuid, md5('user' || i), 'gift', 'completed', -10, 13, 3, 'gift', 'Gift code reservation', now()
FROM generate_series(1, current_setting('test.people')::int) AS i WHERE i % 100 IN (31, 32, 33, 34, 35, 38);
INSERT INTO credits.transactions (id, user_id, type, status, amount, balance_before, balance_after, app_id, description, metadata, created_at)
SELECT md5('back' || i)::uuid, md5('user' || i), 'refund', 'completed', 10, 3, 13, 'gift', 'Gift code cancelled', jsonb_build_object('giftCodeId', md5('gift' || i)::uuid), now() + interval '1 second'
FROM generate_series(35, current_setting('test.people')::int, 100) AS i;
UPDATE credits.balances SET balance = 3 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(1, current_setting('test.people')::int) AS i WHERE i % 100 IN (32, 33, 34, 38));
UPDATE credits.balances SET balance = 83 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(31, current_setting('test.people')::int, 100) AS i);
INSERT INTO gifts.gift_codes (id, code, creator_id, total_credits, credits_per_portion, total_portions, claimed_portions, status, target_email, expires_at, reservation_transaction_id)
SELECT md5('gift' || i)::uuid, translate(upper(left(md5('code' || i), 6)), '01', 'XY'), md5('user' || i), 10, 5, 2,
	CASE i % 100 WHEN 32 THEN 1 WHEN 33 THEN 2 WHEN 38 THEN 1 ELSE 0 END,
	CASE i % 100 WHEN 33 THEN 'depleted' WHEN 34 THEN 'expired' WHEN 35 THEN 'refunded' ELSE 'active' END::public.gift_code_status,
	CASE i % 100 WHEN 31 THEN 'Friend' || i || '@Example.com' END,
	CASE i % 100 WHEN 34 THEN now() - interval '1 day' ELSE now() + interval '30 days' END, CASE WHEN i % 100 <> 37 THEN md5('reservation' || i)::uuid END
FROM generate_series(1, current_setting('test.people')::int) AS i WHERE i % 100 IN (31, 32, 33, 34, 35, 37, 38)
ON CONFLICT DO NOTHING;
INSERT INTO credits.transactions (id, user_id, type, status, amount, balance_before, balance_after, app_id, description, created_at)
SELECT md5('claim' || i || '-' || n)::uuid, md5('user' || i + 10 + n), 'gift', 'completed', 5, 13, 18, 'gift', 'Gift received', now()
FROM generate_series(1, current_setting('test.people')::int - 20) AS i, generate_series(1, 2) AS n WHERE i % 100 = 33 OR i % 100 = 32 AND n = 1;
UPDATE credits.balances AS b SET balance = balance + 5 FROM credits.transactions AS t WHERE t.user_id = b.user_id AND t.type = 'gift' AND t.amount = 5;
INSERT INTO gifts.gift_redemptions (id, gift_code_id, redeemer_user_id, status, credits_received, portion_number, credit_transaction_id)
SELECT md5('redemption' || i || '-' || n)::uuid, md5('gift' || i)::uuid, md5('user' || i + 10 + n), 'success', 5, n, md5('claim' || i || '-' || n)::uuid
FROM generate_series(1, current_setting('test.people')::int - 20) AS i, generate_series(1, 2) AS n
WHERE (i % 100 = 33 OR i % 100 = 32 AND n = 1) AND EXISTS (SELECT FROM gifts.gift_codes AS g WHERE g.id = md5('gift' || i)::uuid);

INSERT INTO subscriptions.plans (id, name, monthly_credits, price_monthly_euro_cents, stripe_price_id_monthly) VALUES (md5('plan')::uuid, 'Plus', 100, 499, 'price_plus');
INSERT INTO subscriptions.subscriptions (id, user_id, plan_id, stripe_subscription_id, stripe_customer_id, current_period_end)
SELECT md5('subscription' || i || '-' || n)::uuid, md5('user' || i), md5('plan')::uuid, 'sub_' || i || '_' || n, 'cus_' || i, now() + interval '20 days'
FROM generate_series(1, current_setting('test.people')::int, 25) AS i, generate_series(1, 2) AS n WHERE n = 1 OR i % 100 = 1;
INSERT INTO subscriptions.invoices (user_id, subscription_id, stripe_invoice_id, status, amount_due_euro_cents, amount_paid_euro_cents)
SELECT s.user_id, s.id, 'in_' || s.stripe_subscription_id, 'paid', 499, 499 FROM subscriptions.subscriptions AS s;
