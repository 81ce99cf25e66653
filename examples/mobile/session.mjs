// What a React Native app does with Mana Edge. The store and the way to a screen are given, so it runs anywhere.
import { asyncStorage, InsufficientCreditsError, Mana, RateLimitedError, UnauthorizedError } from "../../clients/ts/mana.js";

// #region store
// The system's key store, by expo-secure-store: AsyncStorage itself is a file that is not encrypted.
export function openSession(baseUrl, secure) {
	const storage = asyncStorage({
		getItem: (key) => secure.getItemAsync(key),
		setItem: (key, value) => secure.setItemAsync(key, value),
		removeItem: (key) => secure.deleteItemAsync(key),
	});
	return new Mana({ baseUrl, storage });
}
// #endregion

// #region refusals
export async function ask(mana, navigate, url, init) {
	try {
		return await mana.fetch(url, init); // a token that is over is renewed first
	} catch (error) {
		if (error instanceof UnauthorizedError) return navigate("SignIn");
		if (error instanceof InsufficientCreditsError) return navigate("Credits", { required: error.required, available: error.available });
		if (!(error instanceof RateLimitedError)) throw error;
		await new Promise((done) => setTimeout(done, error.retryAfter * 1000));
		return ask(mana, navigate, url, init);
	}
}
// #endregion

// #region upload
export function upload(mana, navigate, url, file) {
	return ask(mana, navigate, url, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
}
// #endregion
