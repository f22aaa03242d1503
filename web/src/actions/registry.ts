import { acceptAllProposals } from "./acceptAllProposals";
import type { Action } from "./action";
import { actualSize } from "./actualSize";
import { boxTool } from "./boxTool";
import { clearLabel } from "./clearLabel";
import { copyCutOut } from "./copyCutOut";
import { deleteObject } from "./deleteObject";
import { discardObject } from "./discardObject";
import { editLabels } from "./editLabels";
import { everythingTool } from "./everythingTool";
import { exportMasks } from "./exportMasks";
import { findPicture } from "./findPicture";
import { finishObject } from "./finishObject";
import { fitPicture } from "./fitPicture";
import { importMasks } from "./importMasks";
import { labelByNumber } from "./labelByNumber";
import { nextObject } from "./nextObject";
import { nextPicture } from "./nextPicture";
import { nextReading } from "./nextReading";
import { panTool } from "./panTool";
import { previousObject } from "./previousObject";
import { previousPicture } from "./previousPicture";
import { previousReading } from "./previousReading";
import { redo } from "./redo";
import { removeTool } from "./removeTool";
import { saveAllCutOuts } from "./saveAllCutOuts";
import { saveCutOut } from "./saveCutOut";
import { saveTogether } from "./saveTogether";
import { segmentTool } from "./segmentTool";
import { selectTool } from "./selectTool";
import { showHelp } from "./showHelp";
import { showMasks } from "./showMasks";
import { showObject } from "./showObject";
import { showPictures } from "./showPictures";
import { showSetAside } from "./showSetAside";
import { toggleTheme } from "./toggleTheme";
import { typeLabel } from "./typeLabel";
import { undo } from "./undo";
import { zoomIn } from "./zoomIn";
import { zoomOut } from "./zoomOut";

/** Every action, in the order of the help sheet within its group. */
export const ACTIONS: readonly Action[] = [
  segmentTool,
  removeTool,
  boxTool,
  everythingTool,
  selectTool,
  panTool,
  finishObject,
  discardObject,
  deleteObject,
  nextReading,
  previousReading,
  undo,
  redo,
  acceptAllProposals,
  nextObject,
  previousObject,
  showObject,
  labelByNumber,
  clearLabel,
  typeLabel,
  editLabels,
  copyCutOut,
  saveCutOut,
  saveTogether,
  saveAllCutOuts,
  nextPicture,
  previousPicture,
  showPictures,
  findPicture,
  showMasks,
  zoomIn,
  zoomOut,
  fitPicture,
  actualSize,
  toggleTheme,
  exportMasks,
  importMasks,
  showSetAside,
  showHelp,
];

/** The bar at the left, in groups from above. */
export const TOOL_BAR: readonly (readonly Action[])[] = [
  [segmentTool, removeTool, boxTool, everythingTool, selectTool, panTool],
  [undo, redo],
  [zoomIn, zoomOut, fitPicture, showMasks],
];

/** The right end of the bar at the top. */
export const TOP_BAR: readonly Action[] = [importMasks, exportMasks, editLabels, toggleTheme, showHelp];

/** Below the list of objects, for the one that is selected. */
export const OBJECT_BAR: readonly Action[] = [
  finishObject,
  typeLabel,
  copyCutOut,
  saveCutOut,
  saveTogether,
  saveAllCutOuts,
];
