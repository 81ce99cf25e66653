<?php

namespace App\Mana;

use Illuminate\Http\Request;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\Http;

/** Verifies X-Mana-Assertion: by whom it is signed, for which app, for which request, until when. */
class Verifier
{
    public function __construct(private string $issuer, private string $audience)
    {
    }

    // #region verify
    /** The claims of a request's assertion. */
    public function assertion(Request $request): array
    {
        $parts = explode('.', $request->header('X-Mana-Assertion', ''));
        $header = count($parts) === 3 ? json_decode(self::decode($parts[0]), true) : null;
        if (($header['alg'] ?? '') !== 'EdDSA' || ($header['typ'] ?? '') !== 'mana-assertion+jwt' || isset($header['crit'])) {
            throw new InvalidAssertion('no assertion');
        }
        $signature = self::decode($parts[2]);
        if (strlen($signature) !== SODIUM_CRYPTO_SIGN_BYTES
            || !sodium_crypto_sign_verify_detached($signature, "$parts[0].$parts[1]", $this->key((string) ($header['kid'] ?? '')))) {
            throw new InvalidAssertion('signature');
        }
        $claims = json_decode(self::decode($parts[1]), true);
        [$path, $query] = explode('?', $request->server('REQUEST_URI'), 2) + [1 => ''];
        $asked = [$this->issuer, $this->audience, $request->method(), strtolower($request->header('Host', '')), $path, hash('sha256', $query, true)];
        $said = [$claims['iss'], $claims['aud'], $claims['htm'], strtolower($claims['host']), $claims['path'], self::decode($claims['qh'])];
        if ($asked !== $said || $claims['exp'] <= time() || $claims['iat'] > time() + 30) {
            throw new InvalidAssertion('of another request, or another time');
        }
        return $claims;
    }
    // #endregion

    // #region keys
    /** A public key of the edge. */
    private function key(string $id): string
    {
        $known = fn () => Cache::get('mana.keys', [])[$id] ?? null;
        return $known() ?? Cache::lock('mana.keys.lock', 10)->block(10, fn () => $known() ?? $this->fetch()[$id] ?? null)
            ?? throw new InvalidAssertion('unknown key');
    }

    /** Fetches the keys, once in five seconds at most, and keeps them for five minutes. */
    private function fetch(): array
    {
        if (!Cache::add('mana.keys.tried', true, 5)) {
            return [];
        }
        $keys = [];
        foreach (Http::timeout(5)->get("$this->issuer/.well-known/jwks.json")->throw()->json('keys') as $key) {
            if (($key['crv'] ?? '') === 'Ed25519') {
                $keys[$key['kid']] = self::decode($key['x']);
            }
        }
        Cache::put('mana.keys', $keys, 300);
        return $keys;
    }
    // #endregion

    private static function decode(string $text): string
    {
        return (string) base64_decode(strtr($text, '-_', '+/'), true);
    }
}
