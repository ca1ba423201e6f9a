/** What outlives a reload: the refresh token, and the key without which it is of no use. */
export interface Kept {
  pair: CryptoKeyPair;
  refresh: string;
  identity: Identity;
}

export interface Identity {
  tenant?: string;
  email: string;
  /** Whether the person came by single sign-on, and so has no password to be asked for. */
  sso?: boolean;
}

/** A way to a provider of single sign-on and back: what must still be here when the browser returns. */
export interface Journey {
  pair: CryptoKeyPair;
  tenant: string;
  /** To sign in, or to prove once more that it is the person who is signed in. */
  purpose: "enter" | "prove";
  at: number;
}

export interface Keep {
  load(): Promise<Kept | undefined>;
  save(kept: Kept): Promise<void>;
  clear(): Promise<void>;
  /** Keep what a journey needs, by its state. */
  depart(state: string, journey: Journey): Promise<void>;
  /** Return a journey, once. */
  arrive(state: string): Promise<Journey | undefined>;
}

/** Milliseconds that a journey may take, as at the server. */
const JOURNEY = 600_000;

/** For tests, and for browsers that refuse IndexedDB (some private windows): a reload then signs in again. */
export function keepInMemory(): Keep {
  let held: Kept | undefined;
  const journeys = new Map<string, Journey>();
  return {
    load: async () => held,
    save: async (kept) => {
      held = kept;
    },
    clear: async () => {
      held = undefined;
    },
    depart: async (state, journey) => {
      journeys.set(state, journey);
    },
    arrive: async (state) => {
      const journey = journeys.get(state);
      journeys.delete(state);
      return journey;
    },
  };
}

const SHELF = "session";
const TRAVEL = "journey ";

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    // biome-ignore lint/style/noRestrictedGlobals: the one place, for a key that cannot be read and a token bound to it
    const asked = indexedDB.open("sluicegate", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(SHELF);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("blocked"));
  });
}

async function within<T>(mode: IDBTransactionMode, work: (shelf: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(SHELF, mode);
      const asked = work(transaction.objectStore(SHELF));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** In this browser's IndexedDB, which takes a key as it is: its private half cannot be read there either. */
export function keepInBrowser(): Keep {
  return {
    load: () => within<Kept | undefined>("readonly", (shelf) => shelf.get("kept")),
    save: async (kept) => {
      await within("readwrite", (shelf) => shelf.put(kept, "kept"));
    },
    clear: async () => {
      await within("readwrite", (shelf) => shelf.delete("kept"));
    },
    depart: async (state, journey) => {
      const old = IDBKeyRange.bound(TRAVEL, `${TRAVEL}\uffff`);
      const names = await within("readonly", (shelf) => shelf.getAllKeys(old));
      const all = await within<Journey[]>("readonly", (shelf) => shelf.getAll(old));
      for (const [index, name] of names.entries())
        if (Date.now() - (all[index]?.at ?? 0) > JOURNEY) await within("readwrite", (shelf) => shelf.delete(name));
      await within("readwrite", (shelf) => shelf.put(journey, TRAVEL + state));
    },
    arrive: async (state) => {
      const journey = await within<Journey | undefined>("readonly", (shelf) => shelf.get(TRAVEL + state));
      await within("readwrite", (shelf) => shelf.delete(TRAVEL + state));
      return journey;
    },
  };
}
