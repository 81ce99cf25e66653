<?php

// #region config
return [
    'url' => env('MANA_URL'),
    'service_key' => env('MANA_SERVICE_KEY'),
];
// #endregion
