<?php

namespace App\Http\Middleware;

use App\Mana\InvalidAssertion;
use App\Mana\Verifier;
use Closure;
use Illuminate\Auth\GenericUser;
use Illuminate\Contracts\Cache\LockTimeoutException;
use Illuminate\Http\Client\HttpClientException;
use Illuminate\Http\Request;

// #region who
/** Has $request->user() be whom the edge says that the request acts for. */
class ManaIdentity
{
    public function __construct(private Verifier $verifier)
    {
    }

    public function handle(Request $request, Closure $next)
    {
        try {
            $claims = $this->verifier->assertion($request);
        } catch (InvalidAssertion) {
            return response("please sign in\n", 401);
        } catch (HttpClientException | LockTimeoutException) { // the edge's keys could not be fetched
            return response("please try again\n", 503);
        }
        $user = new GenericUser(['id' => $claims['sub'], 'email' => $claims['email'], 'role' => $claims['role']]);
        $request->setUserResolver(fn () => $user);
        return $next($request);
    }
}
// #endregion
