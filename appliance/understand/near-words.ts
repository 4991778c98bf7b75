/**
 * English words one letter from a word of our templates. They mean something else, so they are never corrected:
 * "waiting" is not "writing", a "stitch" is no "switch".
 */
export const NEAR_WORDS: ReadonlySet<string> = new Set(`
  abound aground alight anther aright awaken awkward backyard baring bather batters beading beaning bearding beating bewaring blaring blight braces
  braves breading brother burger burned butteries buttery cabled calked calmed calved cancer chance chanced chancel chanted charmed charming charred
  charring charted charting circlets clanged clouds coarse commandos commend commends commuter compos compost compote computed computes connecter
  continua crease cremate culled currant decree decrees deplete derive derives deriving despatch disarmer diving drivel drivels driven driver drives
  emergence enrage excise fading faking falter farther fasten fating fatter faxing fazing feeding felling fester foremast forewarned forged forger
  forges forgot forwarded foster frieze frontward fueling healing heaping hearth heaving heeding herding holier holler humidify humility intensify
  inward itches jacked kindle kingly lamest latent laxest leaded libeled libelled loafed loaned looming looping loosing looting lorded massage metros
  minuet minuets mooing moping mowing neatest nether noshing notching novice numbed others outsize painted painting parson pastern patters phonograph
  placer positron prayer printer printing professor radial radials raiding railing reaming reaping rebind recant refuge refute regaining regains regent
  reheat reining relent remand remote rending repeal resent resolution resolutions resort retaining retains retort retrain retread revere reveres
  reverie rewind reword rewords righted roiling routing sating sawing senior sentenced servile shills shying skulls skying slaying smother snitch snivel
  snoring sowing spaying spills spokes spying squire statue statues stitch stopped stopper storey storms stowing strive summery swatch swaying swills
  tamers thorough though thrive tigers tilling timbers tolling trough tuning turfing turned turner unblock vesicle wafted waited waiting wanked wasted
  wayward wheals whiting wording worming writhing
`.trim().split(/\s+/))
