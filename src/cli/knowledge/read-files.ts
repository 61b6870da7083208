import {
  documentDetailSchema,
  fileOutcome,
  needsDetail,
  type DocumentDetail,
  type DocumentFacts,
} from './file-outcome.js';
import { listDocuments } from './list-documents.js';
import type { Session } from './open-session.js';

/** Documents that are read one by one; of more the summary has to do. */
const DETAILS = 200;
const AT_ONCE = 4;

/** Reads files of a collection; a document that did not change between two calls is not read again. */
export function createFileReader(session: Session, collectionId: string) {
  const known = new Map<string, { updatedAt: string; detail: DocumentDetail }>();
  const detailOf = async ({ id, updatedAt }: DocumentFacts): Promise<void> => {
    if (known.get(id)?.updatedAt === updatedAt) return;
    const detail = documentDetailSchema.parse(await session.get(`/v1/documents/${id}`));
    known.set(id, { updatedAt, detail });
  };
  return async (sinceMsOf: (documents: DocumentFacts[]) => (sourceId: string) => number) => {
    const documents = await listDocuments(session, { collectionId });
    const since = sinceMsOf(documents);
    const open = documents
      .filter((document) => needsDetail(document, since(document.sourceId)))
      .slice(0, DETAILS)
      .values();
    const read = async () => {
      for (const document of open) await detailOf(document);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, read));
    return documents
      .map((document) =>
        fileOutcome(document, known.get(document.id)?.detail, since(document.sourceId)),
      )
      .filter((file) => file !== undefined)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  };
}
