<?php

// In place of what Composer writes to vendor/autoload.php: Laravel as Debian packages it, and this app.

require_once 'Illuminate/autoload.php';
require_once 'GuzzleHttp/autoload.php';

spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require __DIR__.'/../app/'.strtr(substr($class, 4), '\\', '/').'.php';
    }
});
