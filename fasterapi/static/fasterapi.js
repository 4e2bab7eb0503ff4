// Server-sent events in a browser, beyond EventSource: binary events, and several channels over one connection.
// An ES module without dependencies; fasterapi.static.JAVASCRIPT is its path. See docs/sse.md.

// What the data of a binary event begins with: a data URL (RFC 2397).
export const BINARY_PREFIX = "data:application/octet-stream;base64,";

// The Uint8Array of a binary event's data, else the text itself.
export function decode(data) {
  if (!data.startsWith(BINARY_PREFIX)) return data;
  let characters;
  try {
    characters = atob(data.slice(BINARY_PREFIX.length));
  } catch {
    return data;
  }
  return Uint8Array.from(characters, (character) => character.charCodeAt(0));
}

// Calls back with (data, event) for each event of that name; returns a function that ends it.
export function listen(source, name, callback) {
  const listener = (event) => callback(decode(event.data), event);
  source.addEventListener(name, listener);
  return () => source.removeEventListener(name, listener);
}

// The event by which the server tells the connection's id and its channels.
const CONTROL = "fasterapi.channels";

// Channels of one connection to a channels_endpoint. They are added and dropped while it is open, and are the same
// after it was lost and made again.
export class Channels {
  #known; // that the server has told the channels of this connection: a promise and its ends
  #first = true;
  #closing = new AbortController();

  // names: the channels to begin with. options: of EventSource ({withCredentials}). The promise "opened" is resolved when
  // the server has told the channels, and rejected if it refuses them, or if close() comes first.
  constructor(url, names = [], options = {}) {
    this.url = new URL(url, globalThis.location?.href);
    this.names = new Set(names);
    this.options = options;
    this.changes = Promise.resolve();
    this.#expect();
    this.opened = this.#known.promise;
    const first = new URL(this.url);
    first.searchParams.set("channels", names.join(","));
    this.source = new EventSource(first, options);
    this.source.addEventListener(CONTROL, (event) => this.#told(JSON.parse(event.data)));
    this.source.addEventListener("error", () => {
      if (this.source.readyState === EventSource.CLOSED) this.#refuse("the server refuses the connection");
      else if (this.id !== null) this.#expect();
    });
  }

  // Calls back with (data, event) for what a channel sends, under an event's name or none; returns a function that ends it.
  on(channel, callback, name = "") {
    return listen(this.source, name ? `${channel}:${name}` : channel, callback);
  }

  // Resolves when the server has done so; rejects with its answer if it refuses.
  add(...names) {
    const others = names.filter((name) => !this.names.has(name));
    others.forEach((name) => this.names.add(name));
    return this.#change({ add: names }).catch((error) => {
      others.forEach((name) => this.names.delete(name));
      throw error;
    });
  }

  drop(...names) {
    names.forEach((name) => this.names.delete(name));
    return this.#change({ drop: names });
  }

  close() {
    this.source.close();
    this.#refuse("closed");
    this.#closing.abort(new Error("channels: closed"));
  }

  // A connection that the server does not know yet.
  #expect() {
    this.id = null;
    this.#known = {};
    this.#known.promise = new Promise((resolve, reject) => Object.assign(this.#known, { resolve, reject }));
    this.#known.promise.catch(() => {}); // whoever waits for it is told
  }

  #refuse(why) {
    if (this.id !== null) this.#expect();
    this.#known.reject(new Error(`channels: ${why}`));
  }

  // The server knows a new connection only by the channels of its beginning, or those of its last event.
  #told({ id, channels }) {
    const isNew = this.id === null, isFirst = this.#first;
    this.id = id;
    this.#first = false;
    this.#known.resolve();
    if (!isNew || isFirst) return; // what was wished before the first follows now
    // Each alone: one that is refused holds up no other.
    for (const name of this.names) if (!channels.includes(name)) this.#change({ add: [name] }).catch(() => {});
    for (const name of channels) if (!this.names.has(name)) this.#change({ drop: [name] }).catch(() => {});
  }

  // One after the other, so that the last wish is what stays; once the server has told the connection's id.
  #change(wish) {
    this.changes = this.changes.catch(() => {}).then(() => this.#known.promise).then(() => this.#post({ id: this.id, ...wish }));
    return this.changes;
  }

  async #post(wish) {
    const answer = await fetch(this.url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wish),
      credentials: this.options.withCredentials ? "include" : "same-origin",
      signal: this.#closing.signal,
    });
    if (!answer.ok) throw new Error(`channels: ${answer.status} ${await answer.text()}`);
  }
}
