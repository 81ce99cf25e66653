<?php

namespace App\Mana;

/** The user has less than it costs. */
class TooFewCredits extends \RuntimeException
{
    public function __construct(public readonly float $required, public readonly float $available)
    {
        parent::__construct("this costs $required credits, you have $available");
    }
}
