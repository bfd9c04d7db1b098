'use client';
/** Files that are dragged over an element and dropped there; anything else that is dragged is left alone. */
import { useRef, useState } from 'react';

/** @param {(files: File[]) => void} onFiles @param {boolean} wanted */
export function useDrop(onFiles, wanted) {
  const [over, setOver] = useState(false);
  /** Elements entered and not left: the drag is over the whole while there is one. */
  const depth = useRef(0);
  const bringsFiles = (/** @type {React.DragEvent} */ event) =>
    wanted && event.dataTransfer.types.includes('Files');

  /** @param {React.DragEvent} event @param {number} depthNow */
  function note(event, depthNow) {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    depth.current = Math.max(0, depthNow);
    setOver(depth.current > 0);
  }

  const handlers = {
    /** @param {React.DragEvent} event */
    onDragEnter: (event) => note(event, depth.current + 1),
    /** @param {React.DragEvent} event */
    onDragLeave: (event) => note(event, depth.current - 1),
    /** @param {React.DragEvent} event */
    onDragOver: (event) => {
      if (bringsFiles(event)) event.preventDefault();
    },
    /** @param {React.DragEvent} event */
    onDrop: (event) => {
      if (!bringsFiles(event)) return;
      note(event, 0);
      onFiles([...event.dataTransfer.files]);
    },
  };
  return { over, handlers };
}
