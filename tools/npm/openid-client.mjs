// Signs a user in through a provider with openid-client, and prints what it was given as
// one line of JSON. The browser is whoever started it: it reads the address to go to from
// standard output and writes the one it was led back to.
import * as client from 'openid-client'
import { createInterface } from 'node:readline/promises'

const [issuer, id, secret, redirect, alg] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

const config = await client.discovery(new URL(issuer), id, { id_token_signed_response_alg: alg }, client.ClientSecretBasic(secret), { execute: [client.allowInsecureRequests] })
client.enableNonRepudiationChecks(config) // the ID token's signature, too

const verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce()
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: redirect, scope: 'openid profile email offline_access', state, nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', max_age: '600',
})
console.log(address.href)
const back = new URL((await lines.next()).value)

const tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 600, idTokenExpected: true })
const claims = tokens.claims()
const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
const told = await client.tokenIntrospection(config, refreshed.access_token)
await client.tokenRevocation(config, refreshed.refresh_token)
const afterwards = await client.tokenIntrospection(config, refreshed.access_token)
const out = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://app.partner.test/bye' })
console.log(JSON.stringify({ claims, info, told, afterwards, refreshed: refreshed.claims(), out: out.href }))
process.exit(0)
