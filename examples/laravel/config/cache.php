<?php

return [
    'default' => 'file',
    'prefix' => 'app',
    'stores' => ['file' => ['driver' => 'file', 'path' => storage_path('framework/cache')]],
];
