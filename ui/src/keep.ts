/** What outlives a reload: the refresh token, and the key without which it is of no use. */
export interface Kept {
  pair: CryptoKeyPair;
  refresh: string;
  identity: { tenant?: string; email: string };
}

export interface Keep {
  load(): Promise<Kept | undefined>;
  save(kept: Kept): Promise<void>;
  clear(): Promise<void>;
}

/** For tests, and for browsers that refuse IndexedDB (some private windows): a reload then signs in again. */
export function keepInMemory(): Keep {
  let held: Kept | undefined;
  return {
    load: async () => held,
    save: async (kept) => {
      held = kept;
    },
    clear: async () => {
      held = undefined;
    },
  };
}

const SHELF = "session";

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
      await within("readwrite", (shelf) => shelf.clear());
    },
  };
}
