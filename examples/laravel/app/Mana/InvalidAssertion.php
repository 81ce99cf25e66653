<?php

namespace App\Mana;

/** The request does not come from the edge as the edge has sent it. */
class InvalidAssertion extends \RuntimeException
{
}
