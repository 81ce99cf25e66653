<?php

namespace App\Mana;

use Illuminate\Http\Client\Response;
use Illuminate\Support\Facades\Http;

/** The edge, asked by this back end. */
class Edge
{
    public function __construct(private string $url, private string $serviceKey)
    {
    }

    // #region edge
    // Each throws an HttpClientException where the edge cannot be asked or refuses.

    /** Takes credits of a user, once for a key, and returns the id of the transaction. */
    public function charge(array $order, string $key): string
    {
        return $this->post('/api/v1/credits/use', $order, $key)->json('transaction.id');
    }

    /** Gives a charge back, once for a key. */
    public function refund(array $order, string $transaction, string $key): void
    {
        $this->post('/api/v1/credits/refund', $order + ['transactionId' => $transaction], $key);
    }

    private function post(string $path, array $body, string $key): Response
    {
        $response = Http::timeout(10)->withHeaders(['X-Service-Key' => $this->serviceKey, 'Idempotency-Key' => $key])->post($this->url.$path, $body);
        if ($response->status() === 402) {
            throw new TooFewCredits($response->json('details.requiredCredits'), $response->json('details.availableCredits'));
        }
        return $response->throw();
    }
    // #endregion
}
