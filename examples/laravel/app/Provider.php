<?php

namespace App;

use App\Mana\Edge;
use App\Mana\Verifier;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\ServiceProvider;

class Provider extends ServiceProvider
{
    // #region provider
    public function register()
    {
        $this->app->singleton(Verifier::class, fn () => new Verifier(config('mana.url'), 'app'));
        $this->app->singleton(Edge::class, fn () => new Edge(config('mana.url'), config('mana.service_key')));
    }
    // #endregion

    public function boot()
    {
        Route::middleware([\Illuminate\Routing\Middleware\SubstituteBindings::class])->group(base_path('routes/web.php'));
    }
}
