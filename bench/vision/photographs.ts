import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'

const SKIMAGE = '/usr/lib/python3/dist-packages/skimage/data'
const OPENCV = '/usr/share/doc/opencv-doc/examples'
const OPENCV_GUIDE = '/usr/share/doc/opencv-doc/opencv4/html'
const MATPLOTLIB = '/usr/share/matplotlib/mpl-data/sample_data'

/** A real photograph, and what a person sees in it, in the words of COCO. */
export interface Photograph {
  name: string
  file: string
  /** Must be seen. Empty: there is nothing of COCO in it. */
  expects: readonly string[]
  /** Is there too, but small, cut off or a matter of opinion: neither demanded nor wrong. */
  accepts?: readonly string[]
}

/**
 * Photographs of Debian packages: python3-skimage, python-matplotlib-data, opencv-doc. What is expected was written down by
 * looking at them, not at what the detector says.
 */
const ALL: readonly Photograph[] = [
  { name: 'footballer', file: join(OPENCV, 'data/messi5.jpg'), expects: ['person', 'sports ball'] },
  { name: 'coffee', file: join(SKIMAGE, 'coffee.png'), expects: ['cup', 'spoon'], accepts: ['dining table'] },
  { name: 'astronaut', file: join(SKIMAGE, 'astronaut.png'), expects: ['person'], accepts: ['airplane'] },
  { name: 'motorcycle', file: join(SKIMAGE, 'motorcycle_left.png'), expects: ['motorcycle'], accepts: ['bench', 'chair', 'bottle', 'bicycle'] },
  { name: 'cat', file: join(SKIMAGE, 'chelsea.png'), expects: ['cat'] },
  { name: 'bus', file: join(OPENCV_GUIDE, 'pexels_double_decker_bus.jpg'), expects: ['bus', 'car'], accepts: ['person'] },
  { name: 'robin', file: join(OPENCV, 'hfs/data/000.jpg'), expects: ['bird'] },
  { name: 'plant', file: join(OPENCV, 'alphamat/input_images/plant.jpg'), expects: ['potted plant'], accepts: ['book', 'vase'] },
  { name: 'photographer', file: join(SKIMAGE, 'camera.png'), expects: ['person'] },
  { name: 'naval officer', file: join(MATPLOTLIB, 'grace_hopper.jpg'), expects: ['person'], accepts: ['tie'] },
  { name: 'blurred car', file: join(OPENCV, 'data/licenseplate_motion.jpg'), expects: ['car'] },
  { name: 'two at ball', file: join(OPENCV, 'data/basketball1.png'), expects: ['person', 'sports ball'], accepts: ['chair'] },
  { name: 'yard from above', file: join(OPENCV_GUIDE, 'Background_Subtraction_Tutorial_frame.jpg'), expects: ['person'], accepts: ['car', 'truck'] },
  { name: 'birds over a palace', file: join(OPENCV, 'data/home.jpg'), expects: ['bird'] },
  { name: 'cut fruit', file: join(OPENCV, 'data/fruits.jpg'), expects: ['orange'] },
  { name: 'apple', file: join(OPENCV, 'data/apple.jpg'), expects: ['apple'] },
  { name: 'orange', file: join(OPENCV, 'data/orange.jpg'), expects: ['orange'] },
  { name: 'rocket', file: join(SKIMAGE, 'rocket.jpg'), expects: [] },
  { name: 'squirrel', file: join(OPENCV, 'data/squirrel_cls.jpg'), expects: [] },
  { name: 'butterfly', file: join(OPENCV, 'data/butterfly.jpg'), expects: [] },
  { name: 'circuit board', file: join(OPENCV, 'data/board.jpg'), expects: [] },
  { name: 'lake', file: join(OPENCV, 'hfs/data/001.jpg'), expects: [] },
  { name: 'tree', file: join(OPENCV, 'hfs/data/002.jpg'), expects: [] },
  { name: 'pencil and lighter', file: join(OPENCV, 'data/stuff.jpg'), expects: [] },
  { name: 'old town', file: join(OPENCV, 'data/leuvenA.jpg'), expects: [], accepts: ['potted plant'] },
  { name: 'office block', file: join(OPENCV, 'data/building.jpg'), expects: [], accepts: ['potted plant', 'car'] },
]

/** Those that are installed here, the clearest first. */
export const photographs = (): Photograph[] => ALL.filter(({ file }) => existsSync(file))
/** File names of those that are not. */
export const absentPhotographs = (): string[] => ALL.filter(({ file }) => !existsSync(file)).map(({ file }) => basename(file))
