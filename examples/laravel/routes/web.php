<?php

use App\Mana\Edge;
use App\Mana\TooFewCredits;
use Illuminate\Http\Client\HttpClientException;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Str;

// #region routes
Route::get('/', fn (Request $request) => "Hello, {$request->user()->email}!\n");

Route::get('/me', fn (Request $request) => [
    'userId' => $request->user()->id,
    'email' => $request->user()->email,
    'name' => rawurldecode($request->header('X-Mana-Name', '')), // what the assertion does not have is in the headers
]);
// #endregion

// #region charge
Route::post('/answer', function (Request $request, Edge $edge) {
    $key = $request->header('Idempotency-Key', (string) Str::uuid());
    $order = ['userId' => $request->user()->id, 'amount' => 2, 'appId' => 'app', 'description' => 'An answer'];
    try {
        $transaction = $edge->charge($order, $key);
    } catch (TooFewCredits $e) {
        return response($e->getMessage()."\n", 402);
    } catch (HttpClientException) {
        return response("please try again\n", 503); // with the same key: it counts once
    }
    try {
        return response(think($request->query('about')));
    } catch (DomainException) {
        $edge->refund($order, $transaction, "$key-refund");
        return response("no answer, and nothing to pay\n", 500);
    }
});
// #endregion

function think(?string $about): string
{
    return $about === 'everything' ? throw new DomainException('too much') : "42\n";
}

// #region events
Route::get('/events', fn (Request $request) => response()->stream(function () use ($request) {
    for ($i = 1; $i <= 3 && !connection_aborted(); $i++) {
        echo "event: tick\nid: $i\ndata: {$request->user()->email}\n\n";
        if (ob_get_level() > 0) ob_flush(); // output_buffering of php.ini
        flush();
        usleep(200_000);
    }
}, 200, ['Content-Type' => 'text/event-stream', 'Cache-Control' => 'no-cache']));
// #endregion

// #region upload
Route::post('/upload', function (Request $request) {
    $bytes = 0;
    for ($body = $request->getContent(true); !feof($body);) {
        $bytes += strlen(fread($body, 65536)); // as it comes: nothing is kept
    }
    return ['bytes' => $bytes];
});
// #endregion
